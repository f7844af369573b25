// All images, for both kinds of machine:
//
//   docker buildx bake -f docker/docker-bake.hcl --print
//   VERSION=0.1.0 REVISION=$(git rev-parse HEAD) PROVENANCE=mode=max docker buildx bake -f docker/docker-bake.hcl --push

variable "REGISTRY" { default = "ghcr.io/ottoscaler" }
variable "VERSION" { default = "0.0.0-dev" }
variable "REVISION" { default = "unknown" }
variable "CREATED" { default = "1970-01-01T00:00:00Z" }
variable "PLATFORMS" { default = "linux/amd64,linux/arm64" }
// An attestation of how an image was built. `false` where an image is only loaded, which cannot hold it. Of what is in it
// there is none: no scanner finds a crate in a static program, and would attest that there is nothing.
variable "PROVENANCE" { default = "false" }

// X.Y.Z, X.Y and X move with a release; anything else, a -dev or -rc, is only itself.
function "tags" {
  params = [name]
  result = concat(
    ["${REGISTRY}/${name}:${VERSION}"],
    length(regexall("^[0-9]+[.][0-9]+[.][0-9]+$", VERSION)) == 0 ? [] : [
      "${REGISTRY}/${name}:${join(".", slice(split(".", VERSION), 0, 2))}",
      "${REGISTRY}/${name}:${split(".", VERSION)[0]}",
    ],
    REVISION == "unknown" ? [] : ["${REGISTRY}/${name}:sha-${substr(REVISION, 0, 12)}"],
  )
}

group "default" {
  targets = ["ottoscaler", "log-ingest", "otto-agent", "ottoscaler-dev"]
}

target "_all" {
  context    = "."
  dockerfile = "docker/Dockerfile"
  platforms  = split(",", PLATFORMS)
  args       = { VERSION = VERSION, REVISION = REVISION, CREATED = CREATED }
  attest     = PROVENANCE == "false" ? [] : ["type=provenance,${PROVENANCE}"]
}

target "ottoscaler" {
  inherits = ["_all"]
  target   = "ottoscaler"
  tags     = tags("ottoscaler")
}

target "log-ingest" {
  inherits = ["_all"]
  target   = "log-ingest"
  tags     = tags("log-ingest")
}

target "otto-agent" {
  inherits = ["_all"]
  target   = "otto-agent"
  tags     = tags("otto-agent")
}

target "ottoscaler-dev" {
  inherits = ["_all"]
  target   = "ottoscaler-dev"
  tags     = tags("ottoscaler-dev")
}
