"""Write feeds as files for any web server."""
