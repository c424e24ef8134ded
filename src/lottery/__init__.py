"""Find winning tickets: sparse subnetworks that train as well as the dense network."""
