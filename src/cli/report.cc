#include "cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "cli/device.h"
#include "cli/format.h"
#include "cli/keep.h"
#include "cli/memory.h"
#include "cli/text_table.h"
#include "cli/wrap.h"

namespace tca::cli {
namespace {

bool in_int8(const LoadedModel& loaded) { return loaded.model->weight_type() == runtime::WeightType::kInt8; }

}  // namespace

Json model_json(const LoadedModel& loaded) {
  return {{"name", loaded.name()},
          {"path", loaded.dir},
          {"architecture", loaded.model->config().architecture},
          {"compute", compute_name(loaded.model->compute())},
          {"weights", in_int8(loaded) ? "int8" : "stored"},
          {"weight_bytes", loaded.model->weight_bytes()}};
}

Json kv_json(const runtime::Session& session) {
  return {{"tokens", session.num_tokens()},
          {"bytes", session.kv_bytes()},
          {"full_bytes", session.full_kv_bytes()},
          {"kept_share", session.kept_share()}};
}

Json read_json(const runtime::ReadStats& read) {
  return {{"tokens", read.tokens},
          {"sparse", read.sparse},
          {"seconds", read.seconds},
          {"select_seconds", read.select_seconds},
          {"attention_seconds", read.attention_seconds},
          {"linear_seconds", read.linear_seconds},
          {"density", read.density}};
}

Json memory_json(const LoadedModel& loaded) {
  return {{"peak_bytes", peak_memory_bytes()},
          {"gpu_peak_bytes", peak_gpu_bytes()},
          {"weight_bytes", loaded.model->weight_bytes()}};
}

Json attention_json(const runtime::Session& session, const std::string& profile) {
  const runtime::SessionOptions& options = session.options();
  const ProfileBudget* budget = options.profile ? &options.profile->pick(options.keep, options.objective) : nullptr;
  const std::optional<std::string> measured = measured_on(options);
  return {{"mode", attention_name(options.attention)},
          {"profile", budget != nullptr ? Json(profile) : Json()},
          {"objective", budget != nullptr ? Json(budget->objective) : Json()},
          {"keep", budget != nullptr ? Json(options.keep) : Json()},
          {"budget", budget != nullptr ? Json(budget->budget) : Json()},
          {"calibrated_share", budget != nullptr ? Json(budget->kept_share) : Json()},
          {"measured_on", measured ? Json(*measured) : Json()}};
}

Json certificate_json(const runtime::SessionCertificate& certificate) {
  Json layers = Json::array();
  for (std::size_t l = 0; l < certificate.layers.size(); ++l) {
    Json heads = Json::array();
    for (std::size_t h = 0; h < certificate.layers[l].size(); ++h) {
      const HeadCertificate& head = certificate.layers[l][h];
      heads.push_back({{"kept_share", certificate.kept_share[l][h]},
                       {"mean_delta", head.mean_delta},
                       {"p95_delta", head.p95_delta},
                       {"max_delta", head.max_delta},
                       {"bound", head.bound}});
    }
    layers.push_back(std::move(heads));
  }
  return {{"layers", std::move(layers)}, {"raised_heads", certificate.raised_heads}};
}

std::string certificate_table(const runtime::SessionCertificate& certificate, const Style& style) {
  TextTable table(
      {{"layer", true}, {"kept", true}, {"mean dropped", true}, {"p95", true}, {"max", true}, {"bound", true}});
  for (std::size_t l = 0; l < certificate.layers.size(); ++l) {
    HeadCertificate worst;
    double mean = 0, kept = 0;
    for (std::size_t h = 0; h < certificate.layers[l].size(); ++h) {
      const HeadCertificate& head = certificate.layers[l][h];
      mean += head.mean_delta;
      kept += certificate.kept_share[l][h];
      worst.p95_delta = std::max(worst.p95_delta, head.p95_delta);
      worst.max_delta = std::max(worst.max_delta, head.max_delta);
      worst.bound = std::max(worst.bound, head.bound);
    }
    const double heads = std::max<double>(1, static_cast<double>(certificate.layers[l].size()));
    table.add_row({{fmt::format("{}", l)},
                   {format_percent(kept / heads)},
                   {fmt::format("{:.4f}", mean / heads)},
                   {fmt::format("{:.4f}", worst.p95_delta)},
                   {fmt::format("{:.4f}", worst.max_delta)},
                   {fmt::format("{:.3f}", worst.bound)}});
  }
  return fill("Attention mass dropped (mean over heads; p95, max and output error bound of the worst head)",
              style.width(), 2) +
         table.render(style);
}

std::string kv_text(const runtime::Session& session, std::optional<std::int64_t> grown) {
  const auto bytes = static_cast<double>(session.kv_bytes()), full = static_cast<double>(session.full_kv_bytes());
  std::string text = format_bytes(session.kv_bytes());
  if (grown) {
    text += fmt::format(" ({}{})", *grown < 0 ? "-" : "+", format_bytes(static_cast<std::uint64_t>(std::abs(*grown))));
  }
  return text + fmt::format(", {} of full attention's {}", format_percent(full > 0 ? bytes / full : 0),
                            format_bytes(session.full_kv_bytes()));
}

std::string memory_text(const LoadedModel& loaded) {
  const bool gpu = loaded.model->device() != nullptr;
  return fmt::format("{}{} at the peak, {} of it weights{}", gpu ? "on the GPU " : "",
                     format_bytes(gpu ? peak_gpu_bytes() : peak_memory_bytes()),
                     format_bytes(loaded.model->weight_bytes()), in_int8(loaded) ? " in int8" : "");
}

std::string compute_name(runtime::ComputeType type) {
  switch (type) {
    case runtime::ComputeType::kAuto:
      return "auto";
    case runtime::ComputeType::kBF16:
      return "bf16";
    case runtime::ComputeType::kF32:
      return "fp32";
  }
  return "auto";
}

}  // namespace tca::cli
