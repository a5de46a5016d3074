# METADATA
# title: A compose file gives a service less than it should or more than it may
# description: Services run with no more rights than they need, from images of a named version, and take secrets from outside.
# custom:
#   id: PITWALL-COMPOSE
#   severity: HIGH
#   input:
#     selector:
#       - type: yaml
package pitwall.compose

import rego.v1

deny contains sprintf("%s is privileged, which makes it root of the host", [name]) if {
	some name, service in input.services
	service.privileged == true
}

deny contains sprintf("%s shares the host's %s", [name, kind]) if {
	some name, service in input.services
	some kind in ["network_mode", "pid", "ipc"]
	service[kind] == "host"
}

deny contains sprintf("%s has the container runtime's socket, which makes it root of the host", [name]) if {
	some name, service in input.services
	some volume in service.volumes
	contains(place(volume), "docker.sock")
}

deny contains sprintf("%s runs as root", [name]) if {
	some name, service in input.services
	regex.match(`^(root|0)(:.*)?$`, sprintf("%v", [service.user]))
}

deny contains sprintf("%s takes back %s, which hardening dropped", [name, capability]) if {
	some name, service in input.services
	some capability in service.cap_add
	capability in ["ALL", "SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "DAC_OVERRIDE"]
}

deny contains sprintf("the image of %s has no version: %s", [name, service.image]) if {
	some name, service in input.services
	not contains(service.image, "$")
	not contains(service.image, "@sha256:")
	not regex.match(`:[^/]*[0-9][^/]*$`, service.image)
}

place(volume) := volume if is_string(volume)

place(volume) := volume.source if is_object(volume)
