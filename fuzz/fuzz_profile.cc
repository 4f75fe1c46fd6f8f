// A profile that is accepted is written and read back as the same profile.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "tca/error.h"
#include "tca/profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const std::string once = tca::Profile::parse(text, "profile.json").to_json();
    if (tca::Profile::parse(once, "again.json").to_json() != once) std::abort();
  } catch (const tca::Error&) {
  }
  return 0;
}
