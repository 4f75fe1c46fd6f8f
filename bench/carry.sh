#!/usr/bin/env bash
# usage: bench/carry.sh DIR
# Copies what a build needs from this machine's Debian packages into DIR, for a machine without package sources:
#   cmake -B build -DCMAKE_PREFIX_PATH=DIR -DTCA_ONEDNN=OFF
# needs a compiler, CMake and CUDA there and nothing else. Built programs find shared libraries in DIR by their run
# path. oneDNN stays behind, because its library is larger than everything else together.
set -euo pipefail

if (($# != 1)) || [[ $1 == -* ]]; then
  sed -n '2,6s/^# \?//p' "$0" >&2
  exit 2
fi
readonly packages=(libhwy-dev nlohmann-json3-dev libgtest-dev googletest libbenchmark-dev libcli11-dev libfmt-dev
  libpcre2-dev libutf8proc-dev)
mkdir -p "$1"
to=$(cd "$1" && pwd)
readonly to
arch=$(gcc -print-multiarch)
readonly arch

# copy FILE...: from below /usr to below DIR; libraries from lib/ARCHITECTURE to lib, where CMake looks everywhere.
copy() {
  local file target
  for file in "$@"; do
    target=$to/${file#/usr/}
    target=${target/"/lib/$arch/"//lib/}
    target=${target/"/include/$arch/"//include/}
    mkdir -p "$(dirname "$target")"
    cp -fL "$file" "$target"
  done
}

for package in "${packages[@]}"; do
  files=$(dpkg -L "$package" 2>/dev/null) || continue
  while read -r file; do
    [[ -f $file ]] || continue
    case $file in
      /usr/include/*) copy "$file" ;;
      /usr/lib/*/libgmock* | /usr/lib/*/libhwy_test* | /usr/lib/*/libpcre2-16.a | /usr/lib/*/libpcre2-32.a | \
        /usr/lib/*/libpcre2-posix.a | /usr/lib/*/libbenchmark_main.a) ;;
      /usr/lib/*.a) copy "$file" ;;
    esac
  done <<<"$files"
done
rm -rf "$to"/include/gmock "$to"/include/hwy/tests
# Debian has no static form of these; each under the name that programs ask for.
for library in hwy fmt benchmark; do
  soname=$(objdump -p "/usr/lib/$arch/lib$library.so" | awk '$1 == "SONAME" {print $2}')
  cp -fL "/usr/lib/$arch/lib$library.so" "$to/lib/$soname"
done
find "$to/lib" -maxdepth 1 -type f -exec strip --strip-debug {} +

# library NAME: the file of a library in DIR.
library() { (cd "$to/lib" && echo "lib$1".*); }

# Package files of our own: Debian's name Debian's folders.
# package NAME VERSION {TARGET LIBRARY-OR-- LINKS}...
package() {
  local folder=$to/lib/cmake/$1 config version=$2
  mkdir -p "$folder"
  config=$folder/$1Config.cmake
  shift 2
  # shellcheck disable=SC2016  # CMake's variable
  echo 'get_filename_component(_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)' >"$config"
  while (($#)); do
    local kind=SHARED location="IMPORTED_LOCATION \"\${_prefix}/lib/$2\""
    if [[ $2 == *.a ]]; then kind=STATIC; fi
    if [[ $2 == - ]]; then kind=INTERFACE location=""; fi
    cat >>"$config" <<CMAKE
if(NOT TARGET $1)
  add_library($1 $kind IMPORTED)
  set_target_properties($1 PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "\${_prefix}/include"
                        INTERFACE_LINK_LIBRARIES "$3" $location)
endif()
CMAKE
    shift 3
  done
  cat >"${config%.cmake}Version.cmake" <<CMAKE
set(PACKAGE_VERSION $version)
if(PACKAGE_FIND_VERSION VERSION_LESS_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
CMAKE
}
# version_of PACKAGE: upstream's, without what Debian adds.
version_of() { dpkg-query -W -f '${Version}' "$1" | grep -oE '^[0-9]+(\.[0-9]+)*'; }

package hwy "$(version_of libhwy-dev)" hwy::hwy "$(library hwy)" ""
package nlohmann_json "$(version_of nlohmann-json3-dev)" nlohmann_json::nlohmann_json - ""
package GTest "$(version_of libgtest-dev)" GTest::gtest libgtest.a Threads::Threads \
  GTest::gtest_main libgtest_main.a GTest::gtest
package benchmark "$(version_of libbenchmark-dev)" benchmark::benchmark "$(library benchmark)" 'Threads::Threads;rt'
package CLI11 "$(version_of libcli11-dev)" CLI11::CLI11 - ""
package fmt "$(version_of libfmt-dev)" fmt::fmt "$(library fmt)" ""
du -sh "$to"
