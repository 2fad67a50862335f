"""What is inside of a built file, as a bill of materials in CycloneDX's JSON."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.errors import BuildError
from pyjob.ship.build import Built
from pyjob.ship.package import Package, normalized
from pyjob.ship.runtime import NAME as OWN_NAME

if TYPE_CHECKING:
    from cyclonedx.model.component import Component


def write_sbom(file: Path, built: Built) -> None:
    """Write the bill of materials of ``built``: the same for the same file. Raises `BuildError`."""
    try:
        file.write_text(_text(built))
    except OSError as error:
        raise BuildError(f"{file}: {error.strerror}") from None


def check_sbom(file: Path, output: Path | None) -> None:
    """Fail before a build where ``file`` could not be written. Raises `BuildError`."""
    import importlib.util

    if output is not None and file.absolute() == output.absolute():
        raise BuildError(f"{file}: expected another file for --sbom than for --output")
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise BuildError(f"{file}: --sbom: expected the name of a file in a folder that is there")
    if importlib.util.find_spec("cyclonedx") is None:
        raise BuildError(
            "cyclonedx-python-lib is not installed here, which writes --sbom: pip install "
            "cyclonedx-python-lib, or pyjob's extra build"
        )


def _text(built: Built) -> str:
    # A heavy library, for those who ask for it.
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    contents = built.contents
    job = Component(
        type=ComponentType.APPLICATION,
        name=contents.name,
        version=contents.version,
        bom_ref="job",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=built.sha256)],
        properties=[Property(name="pyjob:commit", value=contents.commit)] if contents.commit else [],
    )
    metadata = BomMetaData(component=job)
    metadata.timestamp = None  # the same file has the same bill
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{built.sha256}")
    bom = Bom(serial_number=serial, metadata=metadata)
    components = {normalized(one.name): _component(one) for one in built.packages}
    for one in built.packages:
        component = components[normalized(one.name)]
        bom.components.add(component)
        bom.register_dependency(component, [components[name] for name in one.requires if name in components])
    bom.register_dependency(job, components.values())
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    return f"{text}\n"


def _component(package: Package) -> Component:
    from cyclonedx.factory.license import LicenseFactory
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

    name = normalized(package.name)
    return Component(
        name=package.name,
        version=package.version,
        bom_ref=name,
        description=package.summary or None,
        licenses=[LicenseFactory().make_from_string(package.license)] if package.license else [],
        # On PyPI, another project has the name of this one.
        purl=PackageURL("pypi", None, name, package.version) if name != OWN_NAME else None,
    )
