"""What a job gives as the body of an answer, sent as it is (SPEC 4.5, 4.8)."""
