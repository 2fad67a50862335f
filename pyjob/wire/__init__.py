"""What goes over the wire: payloads in, results and errors out."""
