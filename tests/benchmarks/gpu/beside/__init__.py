"""Compare the energy per inference by ecosel, Zeus and CodeCarbon in one run on one board."""
