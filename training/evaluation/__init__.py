"""An exported model looked at from the outside: what its role asks for, as figures, sheets and a report."""
