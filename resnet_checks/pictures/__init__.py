"""Check of the way from a picture file to the network and to a class."""
