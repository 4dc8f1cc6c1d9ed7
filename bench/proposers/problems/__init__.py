"""What is to be solved: families of problems, recorded surfaces, noise, the optimum."""
