"""One elastic training against many trainings of their own, on the recorded surfaces."""
