"""What load does to the service and to the command line: memory, refusals, lost requests, and what a picture costs."""
