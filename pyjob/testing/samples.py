"""The samples of a job as requests to send: the face for those above the application."""

from pyjob.application.samples import SampleRequest, error_of, failure_of, faulty_samples, sample_requests

__all__ = ["SampleRequest", "error_of", "failure_of", "faulty_samples", "sample_requests"]
