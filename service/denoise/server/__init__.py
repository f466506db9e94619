"""What carries the app: processes, workers, the limits of a connection, whole answers, and Ray Serve."""
