//! A page of the documentation as its reader sees it: files to write and lines
//! to type. Whatever a fence holds is one or the other, or what is then printed.

use std::path::Path;

pub struct Section {
    pub title: String,
    /// Name and contents: the fences whose line before names them, '`Dockerfile`:'.
    pub files: Vec<(String, String)>,
    /// The lines of its `sh` fences.
    pub commands: Vec<String>,
    /// The lines of its `text` fences: each is printed by one of the commands.
    pub prints: Vec<String>,
}

/// The sections that have a fence; with SECTION in the environment, those alone
/// whose titles contain that.
pub fn sections(page: &str) -> Vec<Section> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let mut sections: Vec<Section> = Vec::new();
    let mut lines = text.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("# ").or(line.strip_prefix("## ")) {
            sections.push(Section {
                title: title.to_owned(),
                files: Vec::new(),
                commands: Vec::new(),
                prints: Vec::new(),
            });
        }
        if let Some(language) = line.strip_prefix("```") {
            let section = sections.last_mut().expect("a title");
            let fence: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            match (file_name(std::mem::take(&mut before)), language) {
                (Some(name), _) => section.files.push((name, fence.join("\n") + "\n")),
                (None, "sh") => section.commands.extend(fence.iter().map(|&line| line.into())),
                (None, "text") => section.prints.extend(fence.iter().map(|&line| line.into())),
                (None, _) => panic!("{page}, {}: a fence for nobody: {fence:?}", section.title),
            }
        } else if !line.is_empty() {
            before = line;
        }
    }
    let wanted = std::env::var("SECTION").unwrap_or_default();
    sections
        .retain(|s| !(s.files.is_empty() && s.commands.is_empty()) && s.title.contains(&wanted));
    sections
}

/// Of 'in your `Dockerfile`:'.
fn file_name(line: &str) -> Option<String> {
    let line = line.strip_suffix("`:")?;
    line.rsplit_once('`').map(|(_, name)| name.to_owned())
}

#[test]
fn a_fence_is_a_file_if_the_line_before_names_it() {
    assert_eq!(file_name("in your `Dockerfile`:").as_deref(), Some("Dockerfile"));
    assert_eq!(file_name("`Dockerfile` is below:"), None);
    assert_eq!(file_name("Type this:"), None);
}
