"""The server: what the commands do, over HTTP (`posetalk serve`)."""
