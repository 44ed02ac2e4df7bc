"""One panel as large as the screen, the choice of panels, and the commands for both."""
