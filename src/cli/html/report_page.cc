#include "cli/html/report_page.h"

#include <fmt/format.h>

#include "cli/html/sections.h"
#include "cli/html/style.h"
#include "tca/version.h"

namespace tca::cli::html {
namespace {

// Nothing is loaded and nothing runs, whatever a string of the files would be taken for.
constexpr char kPolicy[] = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

Markup head(const std::string& title) {
  Markup markup = void_element("meta", {{"charset", "utf-8"}});
  markup += void_element("meta", {{"http-equiv", "Content-Security-Policy"}, {"content", kPolicy}});
  markup += void_element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  markup += void_element("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  markup += void_element("meta", {{"name", "referrer"}, {"content", "no-referrer"}});
  markup += element("title", title);
  markup += element("style", Markup::trusted(style_sheet()));
  return element("head", markup);
}

struct Section {
  const char* id;
  const char* title;
  Markup content;
};

std::vector<Section> sections_of(const Report& report) {
  std::vector<Section> sections = {{"quality", "Answers against what is kept", quality_section(report)},
                                   {"cost", "Memory and time", cost_section(report)}};
  if (report.profile) sections.push_back({"profile", "What each head keeps", profile_section(*report.profile)});
  if (!report.answers.empty()) sections.push_back({"answers", "Answers that differ", answers_section(report)});
  sections.push_back({"runs", "Runs", runs_section(report)});
  return sections;
}

}  // namespace

std::string report_page(const Report& report) {
  const std::vector<Section> sections = sections_of(report);
  Markup links, main;
  for (const Section& section : sections) {
    links += element("li", element("a", {{"href", fmt::format("#{}", section.id)}}, section.title));
    main += element("section", {{"id", section.id}}, element("h2", section.title) + section.content);
    main += Markup::trusted("\n");
  }
  const std::string title = report_title(report);
  const Markup header = element("p", {{"class", "kind"}}, "tca report") + element("h1", title) + summary(report) +
                        element("nav", {{"aria-label", "Sections"}}, element("ul", links));
  const Markup body =
      element("header", header) + element("main", main) +
      element("footer", fmt::format("Written by tca report {} from the files named under Runs. The page "
                                    "loads nothing and runs nothing.",
                                    TCA_VERSION));
  const Markup html =
      element("html", {{"lang", "en"}}, head(fmt::format("{} - tca report", title)) + element("body", body));
  return fmt::format("<!DOCTYPE html>\n{}\n", html.str());
}

}  // namespace tca::cli::html
