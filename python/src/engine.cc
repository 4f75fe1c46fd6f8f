// The runtime: what `tca run` and `tca chat` do, with the options of the command line under the same names.
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <functional>
#include <optional>
#include <utility>

#include "arrays.h"
#include "bindings.h"
#include "cli/conversation.h"
#include "cli/loaded_model.h"
#include "core/check.h"
#include "runtime/engine/generate.h"

namespace tca::python {
namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Ids = std::vector<std::int32_t>;
using OnText = std::function<bool(const std::string&)>;

/// A model and how its sessions read.
struct Engine {
  cli::LoadedModel loaded;
  runtime::SessionOptions options;
  cli::ChatFormArgs form;
};

std::unique_ptr<Engine> open_engine(const std::string& model, const std::optional<std::string>& profile,
                                    std::optional<double> keep, std::optional<double> attend,
                                    const std::string& objective, std::optional<double> tolerance,
                                    const std::string& attention, bool certify, std::int64_t ctx,
                                    std::uint64_t kv_budget, const std::string& device, const std::string& compute,
                                    const std::string& weights, int threads, const std::string& chat_template,
                                    std::optional<bool> thinking) {
  const auto one_of = [](const char* name, const std::string& value, std::initializer_list<const char*> values) {
    for (const char* const known : values) {
      if (value == known) return;
    }
    std::string list;
    for (const char* const known : values) list += std::string(list.empty() ? "" : ", ") + known;
    fail(ErrorCategory::kInvalidArgument, text(name, " is \"", value, "\"; expected one of ", list));
  };
  one_of("attention", attention, {"auto", "full", "tca"});
  one_of("compute", compute, {"auto", "bf16", "fp32"});
  one_of("weights", weights, {"stored", "int8"});
  check_argument(threads >= 0, "threads is ", threads, "; expected 0 (all) or more");
  check_argument(!keep || (*keep > 0 && *keep <= 1), "keep is ", keep.value_or(0), "; expected a share in (0, 1]");
  const nb::gil_scoped_release released;
  cli::LoadedModel loaded =
      cli::load_model({.model = model, .compute = compute, .weights = weights, .device = device, .threads = threads});
  runtime::SessionOptions options = cli::session_options({.attention = attention,
                                                          .profile = profile.value_or(""),
                                                          .keep = keep,
                                                          .attend = attend,
                                                          .objective = objective,
                                                          .tolerance = tolerance,
                                                          .certify = certify,
                                                          .max_context = ctx,
                                                          .kv_budget_bytes = kv_budget},
                                                         loaded);
  return std::make_unique<Engine>(
      Engine{std::move(loaded), std::move(options), {.file = chat_template, .thinking = thinking}});
}

runtime::SamplingOptions sampling_of(double temperature, std::int32_t top_k, double top_p, double min_p,
                                     double repetition_penalty, std::uint64_t seed) {
  return {.temperature = temperature,
          .top_k = top_k,
          .top_p = top_p,
          .min_p = min_p,
          .repetition_penalty = repetition_penalty,
          .seed = seed};
}

/// on_text with the interpreter's lock; what it raises ends the answer and reaches the caller.
OnText with_lock(const OnText& on_text) {
  if (!on_text) return {};
  return [&on_text](const std::string& text) {
    const nb::gil_scoped_acquire acquired;
    return on_text(text);
  };
}

/// Logits [rows, vocab] of the last `num_logits` tokens read.
nb::ndarray<nb::numpy, float> read(runtime::Session& session, const Ids& ids, std::int64_t num_logits) {
  std::vector<float> copy;
  {
    const nb::gil_scoped_release released;
    const auto logits = session.read(ids, {.num_logits = num_logits});
    copy.assign(logits.begin(), logits.end());
  }
  const auto vocab = static_cast<std::size_t>(session.model().config().vocab_size);
  const std::size_t rows = copy.size() / vocab;
  return to_numpy(std::move(copy), {rows, vocab});
}

nb::dict stats_of(const runtime::Session& session) {
  const runtime::ReadStats& read = session.last_read();
  nb::dict stats;
  stats["tokens"] = read.tokens;
  stats["sparse"] = read.sparse;
  stats["seconds"] = read.seconds;
  stats["select_seconds"] = read.select_seconds;
  stats["attention_seconds"] = read.attention_seconds;
  stats["density"] = read.density;
  stats["predicted_loss"] = read.predicted_loss ? nb::cast(*read.predicted_loss) : nb::none();
  return stats;
}

runtime::GenerateResult generate(Engine& engine, runtime::Session& session,
                                 const nb::ndarray<float, nb::device::cpu, nb::c_contig>& logits,
                                 std::int64_t max_tokens, const Ids& stop_ids, double temperature, std::int32_t top_k,
                                 double top_p, double min_p, double repetition_penalty, std::uint64_t seed,
                                 const OnText& on_text) {
  const auto vocab = static_cast<std::size_t>(session.model().config().vocab_size);
  check_argument(logits.size() >= vocab && logits.size() % vocab == 0, "logits has ", logits.size(),
                 " values; expected rows of ", vocab, ", as read() gives them");
  const std::span<const float> last(logits.data() + logits.size() - vocab, vocab);
  const runtime::GenerateOptions options{
      .max_tokens = max_tokens,
      .stop_ids = stop_ids,
      .sampling = sampling_of(temperature, top_k, top_p, min_p, repetition_penalty, seed),
      .on_text = with_lock(on_text)};
  const nb::gil_scoped_release released;
  return runtime::generate(session, engine.loaded.tokenizer, last, options);
}

void add_session(nb::module_& module) {
  nb::class_<runtime::GenerateResult>(module, "Generated", "Tokens that were generated, without the stop token.")
      .def_ro("ids", &runtime::GenerateResult::ids)
      .def_ro("text", &runtime::GenerateResult::text)
      .def_ro("stopped_by_id", &runtime::GenerateResult::stopped_by_id)
      .def_ro("seconds", &runtime::GenerateResult::seconds)
      .def_ro("tokens_per_second", &runtime::GenerateResult::tokens_per_second);
  nb::class_<runtime::Session>(
      module, "Session", "One sequence: reads token ids, holds the compressed KV cache. Engine.session() makes it.")
      .def("read", &read, "ids"_a, "num_logits"_a = 1,
           "Reads token ids behind what was read: float32 logits [num_logits, vocab]. Succeeds or changes nothing.")
      .def_prop_ro("num_tokens", &runtime::Session::num_tokens)
      .def_prop_ro("tokens", &runtime::Session::tokens)
      .def_prop_ro("context_limit", &runtime::Session::context_limit)
      .def_prop_ro("kv_bytes", &runtime::Session::kv_bytes, "held now")
      .def_prop_ro("full_kv_bytes", &runtime::Session::full_kv_bytes, "what full attention would hold")
      .def_prop_ro("kept_share", &runtime::Session::kept_share, "of the tokens, mean over layers and KV heads")
      .def_prop_ro("last_read", &stats_of)
      .def("fork", &runtime::Session::fork, nb::keep_alive<0, 1>(), "A second sequence with the same past.")
      .def("truncate", &runtime::Session::truncate, "num_tokens"_a)
      .def("save", &runtime::Session::save, "path"_a, "user_text"_a = "", nb::call_guard<nb::gil_scoped_release>());
}

void add_chat(nb::module_& module) {
  using Turn = cli::Conversation::Turn;
  nb::class_<Turn>(module, "Turn", "An answer of a chat.")
      .def_prop_ro("text", [](const Turn& turn) { return turn.answer.text; })
      .def_prop_ro("ids", [](const Turn& turn) { return turn.answer.ids; })
      .def_prop_ro("tokens_per_second", [](const Turn& turn) { return turn.answer.tokens_per_second; })
      .def_ro("stop", &Turn::stop, "\"stop_token\", \"max_tokens\" or \"context\"")
      .def_ro("prompt_tokens", &Turn::prompt_tokens)
      .def_ro("first_token_seconds", &Turn::first_token_seconds)
      .def("__str__", [](const Turn& turn) { return turn.answer.text; });
  nb::class_<cli::Conversation>(module, "Chat", "A chat in the model's own form. Engine.chat() makes it.")
      .def("system", &cli::Conversation::set_system, "text"_a, "Sent with the first turn; before anything is read.")
      .def("read", &cli::Conversation::read_document, "document"_a, nb::call_guard<nb::gil_scoped_release>(),
           "A document: read, and thinned, before any question is known.")
      .def(
          "say",
          [](cli::Conversation& chat, const std::string& message, std::int64_t max_tokens, double temperature,
             std::int32_t top_k, double top_p, double min_p, double repetition_penalty, std::uint64_t seed,
             const OnText& on_text) {
            const cli::SamplingArgs sampling{
                .max_tokens = max_tokens,
                .sampling = sampling_of(temperature, top_k, top_p, min_p, repetition_penalty, seed)};
            const OnText locked = with_lock(on_text);
            const nb::gil_scoped_release released;
            return chat.say(message, sampling, locked);
          },
          "message"_a, nb::kw_only(), "max_tokens"_a = 256, "temperature"_a = 0.0, "top_k"_a = 0, "top_p"_a = 1.0,
          "min_p"_a = 0.0, "repetition_penalty"_a = 1.0, "seed"_a = 0, nb::arg("on_text").none() = nb::none(),
          "One message and its answer: Turn. on_text(str) -> bool is called after every token; False stops.")
      .def("save", &cli::Conversation::save, "path"_a, nb::call_guard<nb::gil_scoped_release>())
      .def("load", &cli::Conversation::load, "path"_a, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("kv_bytes", [](const cli::Conversation& chat) { return chat.session().kv_bytes(); })
      .def_prop_ro("full_kv_bytes", [](const cli::Conversation& chat) { return chat.session().full_kv_bytes(); })
      .def_prop_ro("kept_share", [](const cli::Conversation& chat) { return chat.session().kept_share(); })
      .def_prop_ro("last_read", [](const cli::Conversation& chat) { return stats_of(chat.session()); });
}

}  // namespace

void add_engine(nb::module_& module) {
  add_session(module);
  add_chat(module);
  nb::class_<Engine>(module, "Engine")
      .def(nb::new_(&open_engine), "model"_a = "lookback-28m", nb::kw_only(), "profile"_a = nb::none(),
           "keep"_a = nb::none(), "attend"_a = nb::none(), "objective"_a = "", "tolerance"_a = nb::none(),
           "attention"_a = "auto", "certify"_a = false, "ctx"_a = 0, "kv_budget"_a = 0, "device"_a = "auto",
           "compute"_a = "auto", "weights"_a = "stored", "threads"_a = 0, "chat_template"_a = "",
           "thinking"_a = nb::none())
      .def(
          "tokenize",
          [](const Engine& engine, const std::string& text, bool special) {
            return engine.loaded.tokenizer.encode(text, special);
          },
          "text"_a, "add_special_tokens"_a = true)
      .def(
          "detokenize",
          [](const Engine& engine, const Ids& ids, bool skip_special) {
            return engine.loaded.tokenizer.decode(ids, skip_special);
          },
          "ids"_a, "skip_special_tokens"_a = true)
      .def(
          "session",
          [](const Engine& engine) {
            return runtime::Session(engine.loaded.model, *engine.loaded.backend, *engine.loaded.pool, engine.options);
          },
          nb::keep_alive<0, 1>(), "A new sequence.")
      .def(
          "load_session",
          [](const Engine& engine, const std::string& path) {
            return runtime::Session::load(path, engine.loaded.model, *engine.loaded.backend, *engine.loaded.pool,
                                          engine.options);
          },
          "path"_a, nb::keep_alive<0, 1>(), "One that Session.save() or the program wrote.")
      .def(
          "chat",
          [](const Engine& engine) {
            return std::make_unique<cli::Conversation>(engine.loaded, engine.options, engine.form);
          },
          nb::keep_alive<0, 1>(), "A new chat.")
      .def("generate", &generate, "session"_a, "logits"_a, nb::kw_only(), "max_tokens"_a = 256, "stop_ids"_a = Ids(),
           "temperature"_a = 0.0, "top_k"_a = 0, "top_p"_a = 1.0, "min_p"_a = 0.0, "repetition_penalty"_a = 1.0,
           "seed"_a = 0, nb::arg("on_text").none() = nb::none(),
           "Goes on behind the logits that session.read() gave: Generated.")
      .def_prop_ro("stop_ids",
                   [](const Engine& engine) { return cli::stop_ids(engine.loaded.model->config(), nullptr); })
      .def_prop_ro("device", [](const Engine& engine) { return engine.loaded.device; })
      .def_prop_ro("keep", [](const Engine& engine) { return engine.options.keep; })
      .def_prop_ro("model_path", [](const Engine& engine) { return engine.loaded.dir; })
      .def_prop_ro("weight_bytes", [](const Engine& engine) { return engine.loaded.model->weight_bytes(); })
      .def_prop_ro("max_position", [](const Engine& engine) { return engine.loaded.model->config().max_position; })
      .def_prop_ro("vocab_size", [](const Engine& engine) { return engine.loaded.model->config().vocab_size; })
      .def_prop_ro("fingerprint", [](const Engine& engine) { return engine.loaded.model->fingerprint(); });
}

}  // namespace tca::python
