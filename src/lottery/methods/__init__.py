"""How tickets are made, and the controls that show why they work: one record each."""
