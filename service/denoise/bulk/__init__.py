"""Many files, arrays and tables, in processes here or on the machines of a Ray cluster."""
