import hashlib
import hmac
import os


class Signer:
    """Signs messages with a key that nobody else has."""

    def __init__(self):
        self.key = os.environ["SIGNING_KEY"].encode()

    def perform(self, message: str) -> str:
        """
        Sign a message.
        :param message: What is signed.
        :return: HMAC-SHA256 of it, in hexadecimal digits.
        """
        return hmac.new(self.key, message.encode(), hashlib.sha256).hexdigest()

    def docs_input_example(self) -> dict:
        return {"message": "hello"}
