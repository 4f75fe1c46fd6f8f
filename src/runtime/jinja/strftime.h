// Times as text.
#pragma once

#include <chrono>

#include "runtime/jinja/object.h"

namespace tca::runtime::jinja {

/// datetime.strftime of a local time without a time zone.
Text format_time(Rendering& rendering, const Text& format, std::chrono::system_clock::time_point time);

}  // namespace tca::runtime::jinja
