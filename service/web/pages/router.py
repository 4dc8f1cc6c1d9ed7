"""The pages: what a person sees of the service in a browser."""

from service.web.pages import account, fleet, listing
from service.web.pages.actions import router as actions
from service.web.pages.study import router as study

ROUTERS = (account.router, listing.router, fleet.router, study.router, actions.router)
