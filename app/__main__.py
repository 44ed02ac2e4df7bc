"""`python -m app` is `tok`."""

from app.cli.main import run

if __name__ == "__main__":
    run()
