//! The stories, step by step. Each step must be seen, or the story fails with its name.

mod job_center;
mod proxima;
mod three;

use crate::{application::Application, stage::Stage};

/// Tells the story of the stage's application. The last line, or the step that failed and why.
pub(crate) fn tell(stage: &mut Stage<'_>) -> Result<String, String> {
    match stage.application {
        Application::M8ball | Application::Chucky => three::tell(stage),
        Application::JobCenter => job_center::tell(stage),
        Application::Proxima => proxima::tell(stage),
    }
}
