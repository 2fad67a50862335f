class Job:
    def perform(self, x: float, y: float = 2) -> float:
        return x * y

    def docs_input_example(self) -> dict[str, float]:
        return {"x": 20, "y": 5}
