"""How a request comes to an answer: over a connection, or to an application in this process."""
