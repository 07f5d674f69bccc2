"""How well findings are found: recorded runs with known faults and known health, and what each rule says of them."""
