//! The registered process `application_controller`: gen calls of other nodes, handed to the driver.

use crabnode::{Context, Message};

use super::{
    Applications,
    driver::{Caller, Event},
    functions,
};

/// Serves for ever.
pub(super) async fn application_controller(mut context: Context, applications: Applications) {
    loop {
        let Message::Term(term) = context.receive().await else { continue };
        let Some([tag, from, request]) = term.as_tuple() else { continue };
        if !tag.is_atom("$gen_call") {
            continue;
        }
        match functions::controller_request(request) {
            Some(request) => {
                applications.send(Event::CallController(request, Caller::Gen(from.clone()))).await;
            }
            None if request.is_atom("loaded_applications") => {
                let reply = applications.controller().loaded_applications();
                context.reply(from, reply);
            }
            // `control_application` too: control is not for other nodes to take.
            None => tracing::warn!(%request, "an unknown call of application_controller"),
        }
    }
}
