"""How the scores of all frames lie: statistics, pictures, the page."""
