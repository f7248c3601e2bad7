"""For playing: a local page in which a person moves a latent and sees the image follow, and one that can be mailed."""

from unweave.explorer.app import App as App
from unweave.explorer.app import Reply as Reply
from unweave.explorer.app import Request as Request
from unweave.explorer.demo import demo as demo
from unweave.explorer.exhibit import Exhibit as Exhibit
from unweave.explorer.server import Server as Server
from unweave.explorer.static import static_page as static_page
