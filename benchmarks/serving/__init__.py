"""How fast the service answers small pictures, beside other servers or beside another version of itself."""
