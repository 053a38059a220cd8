"""Social platforms: one client each, behind one port."""
