"""What a person would otherwise find out by the first trial's failing: does it fit?"""
