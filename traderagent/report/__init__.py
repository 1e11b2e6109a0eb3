"""Results to pictures and pages; computes nothing that a decision rests on."""
