"""One story against a running server, told over HTTP as a mini-program and a browser would."""
