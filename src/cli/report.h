// Figures that several commands report, as text and as JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/loaded_model.h"
#include "cli/output.h"
#include "cli/terminal.h"

namespace tca::cli {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

/// {"name", "path", "architecture", "compute", "kv", "products", "weights", "weight_bytes"}
Json model_json(const LoadedModel& loaded);
/// {"bytes", "full_bytes", "kept_share", "tokens"}
Json kv_json(const runtime::Session& session);
/// {"tokens", "sparse", "seconds", "select_seconds", "attention_seconds", "linear_seconds", "density",
/// "predicted_loss"}
Json read_json(const runtime::ReadStats& read);
/// {"peak_bytes", "gpu_peak_bytes", "weight_bytes"}
Json memory_json(const LoadedModel& loaded);
/// {"mode", "profile", "objective", "keep", "budget", "calibrated_share", "measured_on"}: what was asked for and the
/// configuration that was picked.
Json attention_json(const runtime::Session& session, const std::string& profile);
/// {"layers": [[{"kept_share", "mean_delta", "p95_delta", "max_delta", "output_norm", "bound", "bound_share"}]],
/// "raised_heads"}
Json certificate_json(const runtime::SessionCertificate& certificate);
/// One row a layer: worst head each; then what to do about it.
std::string certificate_table(const runtime::SessionCertificate& certificate, bool predicts_loss, const Style& style);
/// "12.4 MiB (+0.2 MiB), 19 % of full attention's 64.0 MiB"; grown: bytes since some moment.
std::string kv_text(const runtime::Session& session, std::optional<std::int64_t> grown = {});
/// "498.0 MiB at the peak, 53.0 MiB of it weights", of which int8 ones are called so
std::string memory_text(const LoadedModel& loaded);
/// "bf16", "fp32"

}  // namespace tca::cli
