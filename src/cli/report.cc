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

/// The bound as a share of a typical output's norm; 0 where nothing was dropped.
double bound_share(const HeadCertificate& head) { return head.output_norm > 0 ? head.bound / head.output_norm : 0; }

/// What to do about heads whose worst p95 is this: a tolerance of half of it, to one digit, where it bounds mass.
std::string certificate_advice(double worst_p95, bool predicts_loss) {
  if (worst_p95 <= 0) return "";
  if (predicts_loss)
    return "  To drop less, raise --keep, or give --tolerance what an answer's margin may lose, in nats.\n";
  return fmt::format(
      "  To drop less, raise --keep, or give --tolerance {:.1g}: heads whose p95 exceeds that then keep more.\n",
      worst_p95 / 2);
}

}  // namespace

Json model_json(const LoadedModel& loaded) {
  const runtime::Precision& precision = loaded.model->precision();
  const bool on_gpu = loaded.model->device() != nullptr;
  return {{"name", loaded.name()},
          {"path", loaded.dir},
          {"architecture", loaded.model->config().architecture},
          {"compute", dtype_name(precision.activations)},
          {"kv", dtype_name(precision.kv)},
          {"block_products", on_gpu ? Json() : Json(runtime::block_products_name(precision.activations))},
          {"row_products", on_gpu ? Json() : Json(runtime::row_products_name())},
          {"weights", in_int8(loaded) ? "int8" : "stored"},
          {"weights_sha256", loaded.model->fingerprint().weights_sha256},
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
          {"density", read.density},
          {"predicted_loss", read.predicted_loss ? Json(*read.predicted_loss) : Json()}};
}

Json memory_json(const LoadedModel& loaded) {
  return {{"peak_bytes", peak_memory_bytes()},
          {"gpu_peak_bytes", peak_gpu_bytes(loaded.device)},
          {"weight_bytes", loaded.model->weight_bytes()}};
}

Json attention_json(const runtime::Session& session, const std::string& profile) {
  const runtime::SessionOptions& options = session.options();
  std::optional<PickedKeep> budget;
  if (options.profile) budget = pick_keep(*options.profile, options.keep, options.objective, "keep");
  const std::optional<std::string> measured = measured_on(options);
  return {{"mode", attention_name(options.attention)},
          {"profile", budget ? Json(profile) : Json()},
          {"objective", budget ? Json(budget->objective) : Json()},
          {"keep", budget ? Json(options.keep) : Json()},
          {"budget", budget ? Json(budget->budget) : Json()},
          {"calibrated_share", budget ? Json(budget->kept_share) : Json()},
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
                       {"output_norm", head.output_norm},
                       {"bound", head.bound},
                       {"bound_share", bound_share(head)}});
    }
    layers.push_back(std::move(heads));
  }
  return {{"layers", std::move(layers)}, {"raised_heads", certificate.raised_heads}};
}

std::string certificate_table(const runtime::SessionCertificate& certificate, bool predicts_loss, const Style& style) {
  TextTable table(
      {{"layer", true}, {"kept", true}, {"mean dropped", true}, {"p95", true}, {"max", true}, {"error at most", true}});
  double worst_p95 = 0;
  for (std::size_t l = 0; l < certificate.layers.size(); ++l) {
    double mean = 0, kept = 0, p95 = 0, most = 0, bound = 0;
    for (std::size_t h = 0; h < certificate.layers[l].size(); ++h) {
      const HeadCertificate& head = certificate.layers[l][h];
      mean += head.mean_delta;
      kept += certificate.kept_share[l][h];
      p95 = std::max(p95, head.p95_delta);
      most = std::max(most, head.max_delta);
      bound = std::max(bound, bound_share(head));
    }
    const double heads = std::max<double>(1, static_cast<double>(certificate.layers[l].size()));
    table.add_row({{fmt::format("{}", l)},
                   {format_percent(kept / heads)},
                   {fmt::format("{:.4f}", mean / heads)},
                   {fmt::format("{:.4f}", p95)},
                   {fmt::format("{:.4f}", most)},
                   {format_percent(bound)}});
    worst_p95 = std::max(worst_p95, p95);
  }
  return fill(
             "Attention mass dropped, of 1: mean over heads, p95 and max of the worst head. \"error at most\" is the "
             "bound on "
             "95 of 100 outputs of the worst head, as a share of their mean norm; beyond 100 % it says nothing.",
             style.width(), 2) +
         table.render(style) + certificate_advice(worst_p95, predicts_loss);
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
                     format_bytes(gpu ? peak_gpu_bytes(loaded.device) : peak_memory_bytes()),
                     format_bytes(loaded.model->weight_bytes()), in_int8(loaded) ? " in int8" : "");
}

}  // namespace tca::cli
