//! The stories, step by step. Each step must be seen, or the story fails with its name.

mod job_center;
mod proxima;
mod returns;
mod three;

use crate::{application::Application, stage::Stage};

/// Tells the story of the stage's application, or that of the owner that returns. The last line, or the step that failed
/// and why.
pub(crate) fn tell(stage: &mut Stage<'_>, owner_returns: bool) -> Result<String, String> {
    if owner_returns {
        return returns::tell(stage);
    }
    match stage.application {
        Application::M8ball | Application::Chucky => three::tell(stage),
        Application::JobCenter => job_center::tell(stage),
        Application::Proxima => proxima::tell(stage),
    }
}
