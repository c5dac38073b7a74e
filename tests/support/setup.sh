# shellcheck shell=sh
# What ./quickstart and ./check share: which tools are missing, installing them, and a quiet build.
# SPDX-License-Identifier: Apache-2.0

# Everything that the build needs, as PACKAGE=TEST: Debian's name of it, and how to tell that it is there.
# shellcheck disable=SC2034 # used by those who source this
build_needs='
	gcc=command:gcc
	libc6-dev=file:/usr/include/stdio.h
	make=command:make
	autoconf=command:autoreconf
	automake=command:automake
	libtool=command:libtoolize
	pkg-config=command:pkg-config
	libcurl4-openssl-dev=library:libcurl
	libssl-dev=library:libcrypto
	libjson-c-dev=library:json-c
	libpam0g-dev=file:/usr/include/security/pam_modules.h
	ca-certificates=file:/etc/ssl/certs'

# is_there TEST
is_there() {
	case $1 in
	command:*) command -v "${1#*:}" ;;
	library:*) pkg-config --exists "${1#*:}" ;;
	file:*) test -e "${1#*:}" ;;
	fuzzer:*) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		"${1#*:}" -x c -fsanitize=fuzzer,address -o /dev/null - ;;
	java:*) test "$(java_version)" -ge "${1#*:}" ;;
	esac >/dev/null 2>&1
}

# The major version of the Java that is there; 0: none.
java_version() {
	java -version 2>&1 | sed -n 's/^[^"]* version "\([0-9]*\).*/\1/p' | grep . || echo 0
}

# missing_packages PACKAGE=TEST... : those whose test fails, on one line.
missing_packages() {
	missing=
	for need in "$@"; do
		is_there "${need#*=}" || missing="$missing ${need%%=*}"
	done
	echo "${missing# }"
}

# install_packages WHY LOG PACKAGE=TEST... : installs what is missing, through apt-get.  False where something that is
# missing could not be installed; it has been said what and why.
install_packages() {
	why=$1
	log=$2
	shift 2
	packages=$(missing_packages "$@")
	[ -n "$packages" ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "Not here yet, and needed $why: $packages"
		echo "(those are Debian's names). Please install them with this system's package manager."
		return 1
	fi
	as_root=
	if [ "$(id -u)" != 0 ]; then
		if ! command -v sudo >/dev/null; then
			echo "Not here yet, and needed $why. Please install them as root:"
			echo "  apt-get install $packages"
			return 1
		fi
		as_root=sudo
		[ -t 0 ] || as_root="sudo -n"
	fi
	echo "Installing what is needed $why${as_root:+, through sudo}:"
	echo "  apt-get install $packages" | fold -s -w 100
	# shellcheck disable=SC2086 # lists of words
	logged "$log" $as_root env DEBIAN_FRONTEND=noninteractive sh -c '
		apt-get -q -o DPkg::Lock::Timeout=300 update
		exec apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"' sh $packages &&
		return 0
	echo "That did not work. As root it would be:"
	echo "  apt-get install $packages"
	return 1
}

# logged LOG COMMAND... : runs quietly; where it fails, shows the end of the log.
logged() {
	log=$1
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null && return 0
	echo "---- that failed: the end of $log"
	tail -n 30 "$log"
	echo "----"
	return 1
}

# build_in DIRECTORY : configures and builds there.  Run from the top of the tree; does only what is not done yet.
build_in() {
	if [ ! -e configure ] || [ -n "$(find configure.ac Makefile.am src pam etc tests \
		\( -name '*.am' -o -name configure.ac \) -newer configure)" ]; then
		logged "$1/autoreconf.log" autoreconf -i || return 1
	fi
	if [ ! -e "$1/config.status" ]; then
		# shellcheck disable=SC2016 # the other shell expands it
		logged "$1/configure.log" sh -c 'cd "$1" && exec ../configure' sh "$1" || return 1
	fi
	logged "$1/make.log" make -C "$1" -j "$(nproc 2>/dev/null || echo 2)"
}
