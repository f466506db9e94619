"""What the README's figures come from: each is printed by a script here."""
