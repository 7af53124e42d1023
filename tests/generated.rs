//! Completions and manual pages are generated from the command line's types and kept in the repository, so that an
//! installation needs no further tool. This fails when they are stale; `UPDATE_GENERATED=1 cargo test --test generated`
//! writes them again. It also checks that the documents name paths that exist.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use nself::cli::Cli;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn check(path: &Path, text: &[u8]) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(path, text).expect("the file can be written");
    }
    let kept = std::fs::read(path).unwrap_or_default();
    assert!(kept == text, "{} is stale: run UPDATE_GENERATED=1 cargo test --test generated", path.display());
}

#[test]
fn completions_are_those_of_the_command_line() {
    for (shell, file) in [(Shell::Bash, "nself.bash"), (Shell::Zsh, "_nself"), (Shell::Fish, "nself.fish")] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "nself", &mut text);
        check(&root().join("completions").join(file), &text);
    }
}

#[test]
fn manual_pages_are_those_of_the_command_line() {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    collect("nself", &command, &mut pages);
    for (name, command) in pages {
        let mut text = Vec::new();
        let title: &'static str = name.clone().leak();
        let page = clap_mangen::Man::new(command.name(title)).title(title).date("").manual("nself").source("nself");
        page.render(&mut text).expect("memory takes all");
        check(&root().join("man").join(format!("{name}.1")), &text);
    }
}

/// A page for every command, since each page names those below it.
fn collect(name: &str, command: &clap::Command, pages: &mut Vec<(String, clap::Command)>) {
    pages.push((name.to_owned(), command.clone()));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        collect(&format!("{name}-{}", verb.get_name()), verb, pages);
    }
}

/// The files that a document names in backticks or links, below `src/`, `docs/`, `plugins/` and `registry-schema/`.
fn named_paths(text: &str) -> Vec<&str> {
    let folders = ["src/", "docs/", "plugins/", "registry-schema/"];
    let words = text.split(['`', '(', ')', ' ', '\n']);
    words.filter(|word| folders.iter().any(|folder| word.starts_with(folder)) && !word.contains("NAME")).collect()
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let documents = ["README.md", "docs/reference.md", "docs/architecture.md", "docs/figures.md", "docs/missing.md"];
    for document in documents {
        let text = std::fs::read_to_string(root().join(document)).expect("the document can be read");
        for path in named_paths(&text) {
            assert!(root().join(path).exists(), "{document} names {path}, which does not exist");
        }
    }
}
