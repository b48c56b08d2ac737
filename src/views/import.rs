//! What is said of a device that is not taken over from a real OpenClaw.

use crate::pairing::LeftAlone;

/// Why a device stays as it is here.
#[must_use]
pub const fn left_alone_sentence(why: LeftAlone) -> &'static str {
    match why {
        LeftAlone::Paired => "is paired here already and stays as it is",
        LeftAlone::Barred => "was removed or turned down here, which an import does not change",
        LeftAlone::Succeeded => "has a successor here, which an import does not change",
    }
}
