import pyjob


class JobEntrypoint:
    """Adds terms; has each multiplied by the job `multiplier`."""

    def perform(self, terms: list[list[float]]) -> float:
        """
        Return the sum of products.
        :param terms: The numbers of each product; one number alone stands for itself.
        """
        return sum(term[0] if len(term) == 1 else self.product(term) for term in terms)

    def product(self, numbers: list[float]) -> float:
        return float(pyjob.call_job(self, "multiplier", "/api/v1/perform", {"numbers": numbers}))

    def docs_input_example(self) -> dict[str, object]:
        return {"terms": [[40], [2]]}
