"""What belongs to HTTP in general, whatever a request asks for."""
