#include "runtime/jinja/template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/expect_error.h"

namespace tca::runtime::jinja {
namespace {

using nlohmann::ordered_json;
using testing::expect_error;
using Spans = std::vector<Span>;

Rendered render(std::string_view source, const ordered_json& data = ordered_json::object(), const Limits& limits = {}) {
  RenderOptions options;
  options.limits = limits;
  return Template::parse(source, "t.jinja").render(Value::from_json(data, Origin::kForeign), options);
}

// The result with what came from data in brackets.
std::string marked(std::string_view source, const ordered_json& data) {
  const Rendered rendered = render(source, data);
  std::string result;
  std::size_t at = 0;
  for (const Span& span : rendered.text.foreign()) {
    result += rendered.text.bytes().substr(at, span.begin - at) + "[" +
              rendered.text.bytes().substr(span.begin, span.end - span.begin) + "]";
    at = span.end;
  }
  return result + rendered.text.bytes().substr(at);
}

TEST(TemplateTest, RendersAChat) {
  const ordered_json data = {{"messages", {{{"role", "user"}, {"content", " Hi "}}}}, {"add_generation_prompt", true}};
  const std::string source =
      "{%- for message in messages %}\n"
      "    {{- '<|im_start|>' + message.role + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}\n"
      "{%- endfor %}\n"
      "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}\n";
  EXPECT_EQ(render(source, data).text.bytes(), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(marked(source, data), "<|im_start|>[user]\n[Hi]<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ProvenanceTest, SurvivesEveryOperation) {
  const ordered_json data = {{"m", "<|x|>"}, {"l", {"a", "b"}}, {"n", 60}, {"d", {{"k", "v"}}}};
  EXPECT_EQ(marked("{{ 'a' + m ~ 'b' }}", data), "a[<|x|>]b");
  EXPECT_EQ(marked("{{ ('a' + m + 'b')[0:3] }}", data), "a[<|]");
  EXPECT_EQ(marked("{{ ('a' + m)[::-1] }}", data), "[>|x|<]a");
  EXPECT_EQ(marked("{{ ('a' + m)[1] }}", data), "[<]");
  EXPECT_EQ(marked("{{ (' ' + m + ' ').strip() }}{{ m|trim('<') }}", data), "[<|x|>|x|>]");
  EXPECT_EQ(marked("{{ m.replace('x', 'y') }}", data), "[<|]y[|>]");
  EXPECT_EQ(marked("{{ 'axb'.replace('x', m) }}", data), "a[<|x|>]b");
  EXPECT_EQ(marked("{{ m.split('x')|join('-') }}", data), "[<|]-[|>]");
  EXPECT_EQ(marked("{{ m|upper }}{{ m.title() }}", data), "[<|X|><|X|>]");
  EXPECT_EQ(marked("{{ l|join(',') }}{{ l }}", data), "[a],[b]['[a]', '[b]']");
  EXPECT_EQ(marked("{{ '%s.' % m }}{{ '{}.'.format(m) }}{{ '%s.'|format(m) }}", data), "[<|x|>].[<|x|>].[<|x|>].");
  EXPECT_EQ(marked("{{ '{:>7}'.format(m) }}", data), "  [<|x|>]");
  EXPECT_EQ(marked("{% macro f(x) %}({{ x }}){% endmacro %}{{ f(m) }}", data), "([<|x|>])");
  EXPECT_EQ(marked("{% set x %}({{ m }}){% endset %}{{ x }}", data), "([<|x|>])");
  EXPECT_EQ(marked("{% filter upper %}a{{ m }}{% endfilter %}", data), "A[<|X|>]");
  EXPECT_EQ(marked("{{ d|tojson }}|{{ {'a': 1}|tojson }}", data), "[{\"k\": \"v\"}]|{\"a\": 1}");
  EXPECT_EQ(marked("{{ d|string }}{{ d.items()|list }}", data), "{'[k]': '[v]'}[('[k]', '[v]')]");
  EXPECT_EQ(marked("{{ m * 2 }}{{ m|indent }}{{ m|e }}", data), "[<|x|><|x|><|x|>&lt;|x|&gt;]");
  EXPECT_EQ(marked("{% for c in 'a' + m %}{{ c }}.{% endfor %}", data), "a.[<].[|].[x].[|].[>].");
  EXPECT_EQ(marked("{{ '%c' % n }}{{ n }}", data), "[<]60");  // a number chose the character
  EXPECT_EQ(
      marked("{% set ns = namespace(t='') %}{% for x in l %}{% set ns.t = ns.t ~ x %}{% endfor %}{{ ns.t }}", data),
      "[ab]");
}

TEST(TemplateTest, GlobalsHaveTheOriginTheyAreGiven) {
  const auto form = Template::parse("{{ bos ~ m }}", "t");
  const Rendered rendered = form.render(
      Value::dict({{"bos", Value::string("<s>", Origin::kTrusted)}, {"m", Value::string("<s>", Origin::kForeign)}}));
  EXPECT_EQ(rendered.text.foreign(), (Spans{{3, 6}}));
}

TEST(TemplateTest, GenerationBlocksAreReported) {
  const Rendered rendered =
      render("a{% generation %}bc{% endgeneration %}d{% generation %}{{ 'é' }}{% endgeneration %}");
  EXPECT_EQ(rendered.text.bytes(), "abcdé");
  EXPECT_EQ(rendered.generated, (Spans{{1, 3}, {4, 6}}));
}

TEST(TemplateTest, ErrorsNameTemplateAndLine) {
  expect_error(ErrorCategory::kInvalidArgument, "t.jinja:3: Only one system message",
               [] { render("a\n\n{{ raise_exception('Only one system message') }}"); });
  expect_error(ErrorCategory::kInvalidArgument, "t.jinja:2: 'x' is undefined", [] { render("\n{{ x.y }}"); });
  expect_error(ErrorCategory::kInvalidArgument, "t.jinja:1: 'dict object' has no attribute 'z'",
               [] { render("{{ {}.z.y }}"); });
  expect_error(ErrorCategory::kUnsupported, "t.jinja:2: not supported: '{% include %}'",
               [] { render("\n{% include 'x' %}"); });
  expect_error(ErrorCategory::kUnsupported, "t.jinja:1: not supported: unknown tag 'do'", [] { render("{% do x %}"); });
  expect_error(ErrorCategory::kUnsupported, "t.jinja:2: not supported: unknown filter 'shout'",
               [] { render("\n{{ 1|shout }}"); });
  expect_error(ErrorCategory::kBadFile, "t.jinja:1: the template ends inside of a block; expected 'elif' or 'else'",
               [] { render("{% if 1 %}"); });
  expect_error(ErrorCategory::kBadFile, "t.jinja:2: unexpected", [] { render("\n{{ ) }}"); });
}

TEST(TemplateTest, WhatWouldNotEndEnds) {
  Limits limits;
  limits.steps = 10'000;
  const auto expect_limit = [&](const std::string& source, const std::string& part) {
    expect_error(ErrorCategory::kUnsupported, part, [&] { render(source, ordered_json::object(), limits); });
  };
  expect_limit("{% for i in range(100000) %}{% endfor %}", "more than 10000 steps");
  limits = {};
  limits.text_bytes = 1'000'000;
  expect_limit("{{ ('a' * 10 ** 9)|length }}", "more than 1000000 bytes");
  expect_limit("{{ ([1] * 10 ** 18)|length }}", "more than 1000000 bytes");
  expect_limit("{{ ''.ljust(10 ** 12) }}", "more than 1000000 bytes");
  expect_limit("{{ '%1000000000d' % 1 }}", "more than 1000000 bytes");
  expect_limit("{{ 'aaaa'.replace('a', 'b' * 500000) }}", "more than 1000000 bytes");
  expect_limit("{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
               "more than 1000000 bytes");
  limits = {};
  limits.output_bytes = 100;
  expect_limit("{% for i in range(200) %}x{% endfor %}", "longer than 100 bytes");
  limits = {};
  expect_limit("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested deeper than");
  expect_limit("{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}",
               "nested deeper than");
  expect_limit(
      "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = ns.x|map('string') %}{% endfor %}"
      "{{ ns.x|list }}",
      "nested deeper than");
  expect_limit("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}", "nested deeper than");
  expect_limit("{{ " + std::string(5000, '-') + "1 }}", "nested deeper than");
  std::string sum = "{{ 1";
  for (int i = 0; i < 5000; ++i) sum += "+1";
  expect_limit(sum + " }}", "operations one in another");
  std::string blocks;
  for (int i = 0; i < 5000; ++i) blocks += "{% if 1 %}";
  expect_limit(blocks, "blocks nested deeper than");
  expect_error(ErrorCategory::kInvalidArgument, "more than 100000 items", [&] { render("{{ range(10 ** 9) }}"); });
}

TEST(TemplateTest, CirclesAreNoLeaks) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}{{ ns.me.l[0].me is defined }}")
                .text.bytes(),
            "True");
}

}  // namespace
}  // namespace tca::runtime::jinja
