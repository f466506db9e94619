"""The same work behind other servers, each as its own documentation shows it, and this service the long way."""
