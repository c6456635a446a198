"""How well ids last along camera paths, beside a box tracker."""
